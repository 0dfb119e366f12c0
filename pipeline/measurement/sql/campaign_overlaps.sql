-- How many of those that each campaign of the CRM lists are in another one at the same time, under whichever of their ids.
WITH members AS (
  SELECT m.campaign_id, m.customer_id, COALESCE(s.survivor_id, m.customer_id) AS survivor_id
  FROM campaign_members AS m
  LEFT JOIN customer_survivors AS s ON s.customer_id = m.customer_id
)
SELECT m.campaign_id, CAST(COUNT(DISTINCT m.customer_id) AS BIGINT) AS customer_count
FROM members AS m
JOIN campaigns AS c ON c.campaign_id = m.campaign_id
JOIN members AS n ON n.survivor_id = m.survivor_id AND n.campaign_id <> m.campaign_id
JOIN campaigns AS d ON d.campaign_id = n.campaign_id AND d.start_day <= c.end_day AND d.end_day >= c.start_day
GROUP BY m.campaign_id
ORDER BY m.campaign_id
