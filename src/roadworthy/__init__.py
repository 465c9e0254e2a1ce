"""Roadworthy: from labelled messages to a go / no-go for a text-classification feature.

One word per stage: ``config audit clean baseline finetune evaluate cost readiness``. Each word
names a DVC stage, a notebook, a module, a config group, a test file, an artifact folder and a
metrics file.
"""

__version__ = "0.1.0"
