"""Formulas, texts and files grown at random: what gradexplain says of them, against what Python has of the same text.

    python -m tests.differential --count 100000 --seed 1 --kind tensors
"""
