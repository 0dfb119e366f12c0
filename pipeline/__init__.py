"""customer-segments: a nightly batch pipeline that says which customers are which."""
