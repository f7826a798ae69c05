"""The pages. Every module here is inert: it defines functions and does nothing at import (see app.py)."""
