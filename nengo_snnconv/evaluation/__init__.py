"""Running networks on images or recordings, and measuring what they do."""
