-- The arms of running campaigns once customers were merged: who is left keeps the arm. Who was in several is left alone, as the control is:
-- measuring counts them in none, and a list must not write to whom it may not.
WITH controls AS (
  SELECT campaign_id, MIN(arm) AS arm
  FROM assignments_by_source_id
  WHERE is_control
  GROUP BY campaign_id
)
SELECT
  COALESCE(s.survivor_id, a.customer_id) AS customer_id,
  a.campaign_id,
  CASE WHEN MIN(a.arm) = MAX(a.arm) THEN MIN(a.arm) ELSE COALESCE(MIN(c.arm), MIN(a.arm)) END AS arm,
  COALESCE(MIN(a.arm) <> MAX(a.arm) OR MIN(a.arm) = MIN(c.arm), FALSE) AS is_control,
  a.is_holdout,
  a.list_name,
  a.until_date
FROM assignments_by_source_id AS a
LEFT JOIN controls AS c ON c.campaign_id = a.campaign_id
LEFT JOIN customer_survivors AS s ON s.customer_id = a.customer_id
GROUP BY COALESCE(s.survivor_id, a.customer_id), a.campaign_id, a.is_holdout, a.list_name, a.until_date
