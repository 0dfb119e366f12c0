-- The next actions of night $day, each with the first night of the interval in which the customer is in the segment that it comes from.
-- Only what nights themselves told counts (known_from = valid_from); a restatement is later knowledge of one night.
SELECT
  $day AS day,
  a.customer_id,
  a.scheme,
  a.segment,
  a.priority,
  a.stake_amount,
  a.reason,
  i.valid_from AS since_date
FROM customer_next_actions AS a
LEFT JOIN customer_segment_intervals AS i
  ON i.customer_id = a.customer_id
  AND i.scheme = a.scheme
  AND i.segment = a.segment
  AND i.known_from = i.valid_from
  AND i.valid_from <= $day
  AND (i.valid_to IS NULL OR i.valid_to > $day)
ORDER BY a.customer_id
