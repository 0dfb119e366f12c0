-- The members of audiences on night $day, each with the first night of the interval in which the customer is in the audience.
-- Only what nights themselves told counts (known_from = valid_from); a restatement is later knowledge of one night.
SELECT
  $day AS day,
  m.customer_id,
  m.audience,
  i.valid_from AS since_date
FROM audience_members AS m
LEFT JOIN customer_segment_intervals AS i
  ON i.customer_id = m.customer_id
  AND i.scheme = m.audience
  AND i.known_from = i.valid_from
  AND i.valid_from <= $day
  AND (i.valid_to IS NULL OR i.valid_to > $day)
ORDER BY m.customer_id, m.audience
