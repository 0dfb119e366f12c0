"""What monitors are told of nights and syncs: figures, each declared once, wherever they are sent.

Names, labels and counts alone: no value of a customer is ever among them.
"""
