"""Makes the virtual environment of a checkout; standard library only, any Python from 3.10."""
