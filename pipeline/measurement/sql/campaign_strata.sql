-- The customers of an audience with their stratum: segment, then tenth by spend. Equal spends share a tenth. Their order within a
-- stratum is that of a fixed hash of salt, campaign and customer.
WITH ranked AS (
  SELECT
    customer_id,
    segment,
    spend_amount,
    RANK() OVER (ORDER BY spend_amount) - 1 AS below_count,
    COUNT(*) OVER () AS customer_count
  FROM campaign_candidates
  WHERE excluded_by = ''
),
stratified AS (
  SELECT
    customer_id,
    segment,
    spend_amount,
    COALESCE(segment, '') || '/' || CAST(1 + CAST(FLOOR(10 * below_count / customer_count) AS BIGINT) AS VARCHAR) AS stratum
  FROM ranked
)
SELECT
  customer_id,
  segment,
  spend_amount,
  stratum,
  CAST(
    ROW_NUMBER() OVER (
      PARTITION BY stratum
      ORDER BY SUBSTRING(SHA256($salt || ':' || $campaign || ':' || customer_id), 1, 15), customer_id
    ) AS BIGINT
  ) AS place
FROM stratified
ORDER BY customer_id
