"""The fault battery: real processes over real DDS are broken on purpose, and every command on the way is judged."""
