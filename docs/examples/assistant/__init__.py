"""An assistant that writes letters, asks before it sends one, and survives its server."""
