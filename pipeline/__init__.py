"""customer-segments: a nightly batch pipeline that puts every customer into segments."""
