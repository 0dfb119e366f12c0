-- The members that the CRM lists, each with the name of the arm: the control may be marked or named so, and who has no arm is treated.
SELECT
  campaign_id,
  customer_id,
  CASE
    WHEN COALESCE(is_control, LOWER(TRIM(arm)) = 'control', FALSE) THEN 'control'
    WHEN COALESCE(LOWER(TRIM(arm)), '') IN ('', 'control') THEN 'treated'
    ELSE TRIM(arm)
  END AS arm
FROM campaign_members
