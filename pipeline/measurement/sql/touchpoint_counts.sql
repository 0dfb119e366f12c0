-- How many customers were reached by each campaign, and how many opened, clicked or redeemed.
SELECT
  campaign_id,
  CAST(COUNT(DISTINCT CASE WHEN kind IN ('sent', 'delivered') THEN customer_id END) AS BIGINT) AS reached_count,
  CAST(COUNT(DISTINCT CASE WHEN kind = 'opened' THEN customer_id END) AS BIGINT) AS opened_count,
  CAST(COUNT(DISTINCT CASE WHEN kind = 'clicked' THEN customer_id END) AS BIGINT) AS clicked_count,
  CAST(COUNT(DISTINCT CASE WHEN kind = 'redeemed' THEN customer_id END) AS BIGINT) AS redeemed_count
FROM touchpoints
WHERE campaign_id IS NOT NULL
GROUP BY campaign_id
ORDER BY campaign_id
