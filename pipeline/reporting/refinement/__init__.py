"""What was learned of segments: what they buy more than others, what schemes add, what might make them better, and whom to write to."""
