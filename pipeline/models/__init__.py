"""What is learned: clusters and predicted value. Fitted rarely in Python, judged, promoted, stored as JSON, applied in SQL.

`clusters` and `predictions` fit models and build the statements that apply them; `refits` replaces them and stores every one.
A night is computed by the model that was valid on its day, so models are never changed, only succeeded.
Knows features and definitions; nothing of segmentation, publication or the order of steps.
"""
