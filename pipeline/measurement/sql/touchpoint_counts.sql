-- How many customers were reached by each campaign, and how many opened, clicked or redeemed, under whichever of their ids.
WITH contacts AS (
  SELECT t.campaign_id, t.kind, COALESCE(s.survivor_id, t.customer_id) AS customer_id
  FROM touchpoints AS t
  LEFT JOIN customer_survivors AS s ON s.customer_id = t.customer_id
  WHERE t.campaign_id IS NOT NULL
)
SELECT
  campaign_id,
  CAST(COUNT(DISTINCT CASE WHEN kind IN ('sent', 'delivered') THEN customer_id END) AS BIGINT) AS reached_count,
  CAST(COUNT(DISTINCT CASE WHEN kind = 'opened' THEN customer_id END) AS BIGINT) AS opened_count,
  CAST(COUNT(DISTINCT CASE WHEN kind = 'clicked' THEN customer_id END) AS BIGINT) AS clicked_count,
  CAST(COUNT(DISTINCT CASE WHEN kind = 'redeemed' THEN customer_id END) AS BIGINT) AS redeemed_count
FROM contacts
GROUP BY campaign_id
ORDER BY campaign_id
