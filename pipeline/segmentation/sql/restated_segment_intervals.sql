-- Where `restated`, what night $known knows of $day, differs from what was known `before`; $open stands for no end.
SELECT
  $day AS event_day,
  $known AS known_on,
  COALESCE(restated.customer_id, before.customer_id) AS customer_id,
  COALESCE(restated.scheme, before.scheme) AS scheme,
  restated.segment AS segment,
  $day AS valid_from,
  NULLIF($next_day, $open) AS valid_to,
  $known AS known_from
FROM restated
FULL JOIN before ON before.customer_id = restated.customer_id AND before.scheme = restated.scheme
WHERE restated.segment IS DISTINCT FROM before.segment
ORDER BY customer_id, scheme
