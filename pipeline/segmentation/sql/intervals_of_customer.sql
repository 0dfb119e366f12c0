SELECT scheme, segment, valid_from, valid_to, known_from
FROM customer_segment_intervals
WHERE customer_id = $customer_id
ORDER BY scheme, valid_from, known_from
