SELECT * FROM order_lines
