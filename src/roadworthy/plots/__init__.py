"""Figures: one module per stage word, one function per figure; nothing is saved here."""
