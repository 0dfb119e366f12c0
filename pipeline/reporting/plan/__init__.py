"""What an edit of the definitions, or another cluster model, would change in the live night, before anybody makes it so.

`plan_change` and `plan_model` answer, `apply` in operations makes a plan true. Nothing here writes to the lake.
"""
