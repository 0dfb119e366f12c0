-- Intervals once they tell what night $day says. `told` has those that ended on $day or later as the other nights tell
-- them, `night` the memberships of $day; $next_day is the first later night told, $open stands for no end.
-- Sorted by their end, so that open ones come last.
WITH known_intervals AS (
  SELECT customer_id, scheme, segment, valid_from, COALESCE(valid_to, $open) AS valid_to
  FROM told
),
sides AS (
  SELECT customer_id, scheme, 'before' AS side, segment, valid_from, valid_to
  FROM known_intervals
  WHERE valid_from < $day
  UNION ALL
  SELECT customer_id, scheme, 'after' AS side, segment, valid_from, valid_to
  FROM known_intervals
  WHERE valid_from <= $next_day AND valid_to > $next_day
  UNION ALL
  SELECT customer_id, scheme, 'now' AS side, segment, $day AS valid_from, $day AS valid_to
  FROM night
),
turns AS (
  SELECT
    customer_id,
    scheme,
    MAX(CASE WHEN side = 'before' THEN segment END) AS segment_before,
    MAX(CASE WHEN side = 'now' THEN segment END) AS segment_now,
    MAX(CASE WHEN side = 'after' THEN segment END) AS segment_after,
    MAX(CASE WHEN side = 'before' THEN valid_from END) AS valid_from,
    COALESCE(MAX(CASE WHEN side = 'after' THEN valid_to END), $open) AS valid_to
  FROM sides
  GROUP BY customer_id, scheme
),
ends AS (
  SELECT
    *,
    segment_before IS DISTINCT FROM segment_now AS is_new,
    segment_now IS DISTINCT FROM segment_after AS is_over,
    CASE WHEN segment_now IS DISTINCT FROM segment_after THEN $next_day ELSE valid_to END AS now_valid_to
  FROM turns
),
intervals AS (
  SELECT customer_id, scheme, segment_before AS segment, valid_from, CASE WHEN is_new THEN $day ELSE now_valid_to END AS valid_to
  FROM ends
  WHERE segment_before IS NOT NULL
  UNION ALL
  SELECT customer_id, scheme, segment_now AS segment, $day AS valid_from, now_valid_to AS valid_to
  FROM ends
  WHERE is_new AND segment_now IS NOT NULL
  UNION ALL
  SELECT customer_id, scheme, segment_after AS segment, $next_day AS valid_from, valid_to
  FROM ends
  WHERE is_over AND segment_after IS NOT NULL
  UNION ALL
  SELECT customer_id, scheme, segment, valid_from, valid_to
  FROM known_intervals
  WHERE valid_from > $next_day
)
SELECT
  customer_id,
  scheme,
  segment,
  valid_from,
  NULLIF(valid_to, $open) AS valid_to,
  valid_from AS known_from,
  valid_to AS event_day,
  valid_to AS known_on
FROM intervals
ORDER BY event_day, customer_id, scheme, valid_from
