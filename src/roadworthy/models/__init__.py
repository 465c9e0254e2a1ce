"""Architectures, one per file, behind one small interface, and the networks that are trained.

Nothing is imported here: whoever serves the exported model (``onnx``) needs no torch. The table of
the architectures is ``baseline.ARCHITECTURES``.
"""
