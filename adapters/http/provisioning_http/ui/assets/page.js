// Keeps a page as the server would show it now: fetches it again when something happened, and changes only what differs.
// Elements stay the same elements, so that focus, selection, scroll and what somebody opened are never lost.
// The server's stream says when; where it is refused the page asks every few seconds. Without scripts the page works, too.

const main = document.querySelector("main[data-live]");
const KEYS = "data-key";
const SOONEST = 400;
const QUIET = 3000;

// putting a new tree in place of an old one

const keyOf = (node) => (node.nodeType === 1 ? node.getAttribute(KEYS) || node.id : "") || "";
const isSame = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
const holdsFocus = (node) => node.contains(document.activeElement) && document.activeElement !== document.body;

function setAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes])
    if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
}

function become(old, fresh) {
  if (old.nodeType !== 1) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.id === "said" || /^(INPUT|TEXTAREA|SELECT)$/.test(old.nodeName)) return;
  setAttributes(old, fresh);
  if (!old.isEqualNode(fresh)) becomeChildren(old, fresh);
}

function becomeChildren(old, fresh) {
  const known = new Map();
  for (const child of old.childNodes) if (keyOf(child)) known.set(child.nodeName + keyOf(child), child);
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const kept = keyOf(wanted) ? known.get(wanted.nodeName + keyOf(wanted)) : null;
    if (kept && kept !== place) {
      // A focused element is not moved (that would blur it): what stands before it goes instead.
      if (holdsFocus(kept)) while (place !== kept) { const next = place.nextSibling; place.remove(); place = next; }
      else old.insertBefore(kept, place);
    }
    const candidate = kept || (place && isSame(place, wanted) && !keyOf(place) ? place : null);
    if (candidate) {
      become(candidate, wanted);
      place = candidate.nextSibling;
    } else old.insertBefore(wanted, place);
  }
  while (place) {
    const next = place.nextSibling;
    if (!holdsFocus(place)) place.remove();
    place = next;
  }
}

// saying what happened to the run as a whole, not more often than somebody can listen

let lastSaid = 0;
let toSay = 0;
function say(text) {
  const said = document.getElementById("said");
  if (!said || said.textContent === text) return;
  clearTimeout(toSay);
  toSay = setTimeout(() => { lastSaid = Date.now(); said.textContent = text; }, Math.max(0, lastSaid + QUIET - Date.now()));
}

// fetching

let isBusy = false;
let isWanted = false;
let lastFetch = 0;

async function refresh() {
  if (isBusy) { isWanted = true; return; }
  isBusy = true;
  isWanted = false;
  try {
    const address = location.href;
    const answer = await fetch(address, { credentials: "same-origin", cache: "no-store", headers: { Accept: "text/html" } });
    if (answer.ok && address === location.href) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const content = fresh.querySelector("main");
      if (content) {
        say(fresh.getElementById("said")?.textContent ?? "");
        document.title = fresh.title;
        become(main, content);
        if ("moves" in main.dataset) listen();
      }
    } else if (answer.status === 401 || answer.status === 403 || answer.status === 404) stop();
  } catch {
    // Away for a moment: the next turn asks again.
  } finally {
    isBusy = false;
    lastFetch = Date.now();
    if (isWanted) soon();
  }
}

let coming = 0;
function soon() {
  if (!coming) coming = setTimeout(() => { coming = 0; refresh(); }, Math.max(50, lastFetch + SOONEST - Date.now()));
}

// when

let stream = null;
let isStopped = false;
const every = () => Number(main.dataset.every) || 5000;

function listen() {
  if (!main.dataset.stream || stream || isStopped) return;
  stream = new EventSource(main.dataset.stream);
  for (const kind of ["message", "snapshot", "reset"]) stream.addEventListener(kind, soon);
  stream.addEventListener("end", () => { close(); soon(); });
  stream.addEventListener("error", () => { if (stream?.readyState === EventSource.CLOSED) close(); });
}

function close() {
  stream?.close();
  stream = null;
}

function stop() {
  isStopped = true;
  close();
}

function turn() {
  if (!isStopped && !document.hidden && Date.now() - lastFetch >= every()) refresh();
}

function tick() {
  for (const element of document.querySelectorAll("[data-since]")) {
    const text = span((Date.now() - Date.parse(element.dataset.since)) / 1000);
    if (element.textContent !== text) element.textContent = text;
  }
}

function span(seconds) {
  const pad = (number) => String(number).padStart(2, "0");
  if (seconds < 9.95) return `${Math.max(seconds, 0).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min ${pad(Math.floor(seconds % 60))} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${pad(minutes % 60)} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

// a step's panel opens in place; the address says which, so that it can be sent to somebody

async function show(address) {
  history.pushState(null, "", address);
  await refresh();
  const heading = document.getElementById("step");
  (heading ?? document.getElementById("steps"))?.focus({ preventScroll: true });
  (heading ?? document.getElementById("steps"))?.scrollIntoView({ block: "nearest" });
}

function isOfThisPage(link) {
  const address = new URL(link.href instanceof SVGAnimatedString ? link.href.baseVal : link.href, location.href);
  const isSame = address.origin === location.origin && address.pathname === location.pathname;
  return isSame && /^#(step|steps)$/.test(address.hash) ? address : null;
}

// in the graph, arrows go from box to box

function go(event) {
  const box = event.target.closest?.("a.box");
  const [dx, dy] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [0, 0];
  if (!box || event.altKey || event.ctrlKey || event.metaKey || !(dx || dy)) return;
  const here = box.getBoundingClientRect();
  let best = null;
  let least = Infinity;
  for (const other of main.querySelectorAll("a.box")) {
    const there = other.getBoundingClientRect();
    const x = there.x - here.x;
    const y = there.y - here.y;
    const ahead = x * dx + y * dy;
    const cost = ahead + 2 * Math.abs(x * dy + y * dx);
    if (ahead > 4 && (dy === 0 || Math.abs(x) < 4) && cost < least) { best = other; least = cost; }
  }
  if (!best) return;
  event.preventDefault();
  best.focus();
}

if (main) {
  listen();
  lastFetch = Date.now();
  setInterval(turn, 500);
  setInterval(tick, 500);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { listen(); soon(); } });
  addEventListener("popstate", refresh);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) { listen(); soon(); } });
  main.addEventListener("keydown", go);
  main.addEventListener("click", (event) => {
    const link = event.target.closest?.("a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const address = isOfThisPage(link);
    if (!address) return;
    event.preventDefault();
    show(address);
  });
}
