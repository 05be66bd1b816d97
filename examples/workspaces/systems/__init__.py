"""What the backend does to the systems around it. Plain functions: each may be called again, and knows nothing of plans or steps."""
