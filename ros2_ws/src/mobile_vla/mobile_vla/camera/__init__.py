"""Frames from cameras, streams, video files and image folders; their calibration, pixel formats and health.

Importing this package loads nothing heavy: take `config`, `source`, `open`, `encodings`, `health`, ... one by one.
"""
