"""What is learned: clusters and predicted value. Fitted rarely in Python, judged, promoted, stored as JSON, applied in SQL.

Offers models, the statements that apply them, and refits. A night is computed by the model that was valid on its day.
"""
