-- A basket has one time stamp, so a window of days never cuts it and its lines are always numbered alike.
WITH lines AS (
    SELECT
        household_id,
        basket_id,
        product_id,
        CAST(transaction_timestamp AS TIMESTAMP) AT TIME ZONE 'UTC' AS ordered_at,
        quantity,
        CAST(sales_value AS DECIMAL(18, 4)) AS sales_value,
        CAST(retail_disc AS DECIMAL(18, 4)) + CAST(coupon_disc AS DECIMAL(18, 4)) + CAST(coupon_match_disc AS DECIMAL(18, 4))
            AS discount_amount,
        ROW_NUMBER() OVER (
            PARTITION BY basket_id
            ORDER BY
                product_id, quantity, sales_value, retail_disc, coupon_disc, coupon_match_disc,
                household_id, store_id, week, transaction_timestamp
        ) AS line_number
    FROM transactions
    WHERE
        CAST(transaction_timestamp AS TIMESTAMP) AT TIME ZONE 'UTC' >= $day_start
        AND CAST(transaction_timestamp AS TIMESTAMP) AT TIME ZONE 'UTC' < $day_end
)

SELECT
    CAST(lines.basket_id AS VARCHAR) AS order_id,
    lines.line_number,
    CAST(lines.household_id AS VARCHAR) AS customer_id,
    lines.ordered_at,
    -- Petrol is counted in thousandths of a gallon, which shows in a price below a cent; some of its lines in refuelings.
    CAST(
        CASE
            WHEN products.product_type LIKE 'GASOLINE%' AND lines.sales_value < lines.quantity * 0.01
                THEN lines.quantity * 0.001
            ELSE lines.quantity
        END AS DECIMAL(18, 4)
    ) AS quantity,
    lines.sales_value AS net_amount,
    CAST(lines.discount_amount AS DECIMAL(18, 4)) AS discount_amount,
    CAST(lines.product_id AS VARCHAR) AS product_id,
    CASE
        WHEN products.product_type LIKE 'GASOLINE%' THEN 'FUEL'
        ELSE products.product_category
    END AS category
FROM lines
LEFT JOIN products ON products.product_id = lines.product_id
