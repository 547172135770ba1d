"""Rebuilds the embedded model and its table from nothing: `python -m tui_tuner.quickstart.build --to DIR`.

A closed world of fictional players (`names`, `world`), the conversations the base model is taught (`skills`), a
tokenizer of whole words (`tokenizer`), pre-training (`pretrain`), the exam on what it never saw (`exam`), the canaries
that show what a fine-tune costs (`canaries`) and the model card (`card`). `samples` makes the small data sets of the
presets, by a command of its own. Nothing here is needed to use the model, and nothing here may be imported by the
application.
"""
