-- The arms of running campaigns once customers were merged: who is left keeps the arm. Who was in several is left alone, as the control is:
-- measuring counts them in none, and a list must not write to whom it may not.
SELECT
  COALESCE(s.survivor_id, a.customer_id) AS customer_id,
  a.campaign_id,
  CASE WHEN MIN(a.arm) = MAX(a.arm) THEN MIN(a.arm) ELSE 'control' END AS arm,
  MIN(a.arm) <> MAX(a.arm) OR MAX(CASE WHEN a.is_control THEN 1 ELSE 0 END) = 1 AS is_control,
  a.is_holdout,
  a.list_name,
  a.until_date
FROM assignments_by_source_id AS a
LEFT JOIN customer_survivors AS s ON s.customer_id = a.customer_id
GROUP BY COALESCE(s.survivor_id, a.customer_id), a.campaign_id, a.is_holdout, a.list_name, a.until_date
