-- A household is known from its first basket on; 801 of 2,469 told who they are.
WITH households AS (
    SELECT household_id, MIN(CAST(transaction_timestamp AS TIMESTAMP)) AS first_sold_at
    FROM transactions
    GROUP BY household_id
)

SELECT
    CAST(households.household_id AS VARCHAR) AS customer_id,
    households.first_sold_at AT TIME ZONE 'UTC' AS created_at,
    demographics.age AS age_band,
    demographics.income AS income_band,
    demographics.home_ownership,
    LOWER(demographics.marital_status) AS marital_status,
    demographics.household_size,
    demographics.household_comp AS household_composition,
    demographics.kids_count AS children_band
FROM households
LEFT JOIN demographics ON demographics.household_id = households.household_id
WHERE households.first_sold_at AT TIME ZONE 'UTC' < $day_end
