-- The lists that the control of the company-wide holdout is on none of: all audiences, and segments that a campaign is for.
SELECT DISTINCT list_name
FROM (
  SELECT audience AS list_name
  FROM audience_members
  UNION ALL
  SELECT list_name
  FROM campaign_arms
  WHERE list_name IS NOT NULL
) AS names
ORDER BY list_name
