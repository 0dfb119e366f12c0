-- People and resellers. The letter keeps the two id spaces apart: both write AW and eight digits.
WITH night AS (
    SELECT CAST($day_end AS TIMESTAMP WITH TIME ZONE) AT TIME ZONE 'America/Los_Angeles' AS local_end
),

-- All lines of an order name the same reasons, so an order counts once. Only orders of before the night may speak.
order_reasons AS (
    SELECT DISTINCT sale."CustomerKey", sale."SalesOrderNumber", sale."OrderDate", reason."SalesReasonKey"
    FROM "FactInternetSales" AS sale
    JOIN "FactInternetSalesReason" AS reason
        ON reason."SalesOrderNumber" = sale."SalesOrderNumber" AND reason."SalesOrderLineNumber" = sale."SalesOrderLineNumber"
    WHERE sale."OrderDate" < (SELECT local_end FROM night)
),

main_reasons AS (
    SELECT DISTINCT
        "CustomerKey",
        FIRST_VALUE("SalesReasonKey") OVER (
            PARTITION BY "CustomerKey" ORDER BY COUNT(*) DESC, MAX("OrderDate") DESC, "SalesReasonKey"
        ) AS "SalesReasonKey"
    FROM order_reasons
    GROUP BY "CustomerKey", "SalesReasonKey"
),

motives AS (
    SELECT main_reasons."CustomerKey", REPLACE(reason."SalesReasonName", '  ', ' ') AS main_purchase_motive
    FROM main_reasons
    JOIN "DimSalesReason" AS reason ON reason."SalesReasonKey" = main_reasons."SalesReasonKey"
),

interests AS (
    SELECT
        "CustomerKey",
        CASE
            WHEN COUNT(DISTINCT "EnglishProductCategoryName") = 1 THEN MIN("EnglishProductCategoryName")
            ELSE 'several'
        END AS survey_interest
    FROM "FactSurveyResponse"
    WHERE "Date" < (SELECT local_end FROM night)
    GROUP BY "CustomerKey"
),

places AS (
    SELECT
        geography."GeographyKey",
        geography."EnglishCountryRegionName" AS country,
        geography."StateProvinceName" AS region,
        geography."City" AS city,
        territory."SalesTerritoryRegion" AS sales_territory
    FROM "DimGeography" AS geography
    LEFT JOIN "DimSalesTerritory" AS territory ON territory."SalesTerritoryKey" = geography."SalesTerritoryKey"
)

SELECT
    'P-' || person."CustomerAlternateKey" AS customer_id,
    CAST(person."DateFirstPurchase" AS TIMESTAMP) AT TIME ZONE 'America/Los_Angeles' AS created_at,
    'person' AS customer_kind,
    CAST(EXTRACT(YEAR FROM person."BirthDate") AS BIGINT) AS birth_year,
    CASE person."Gender" WHEN 'F' THEN 'female' WHEN 'M' THEN 'male' END AS gender,
    CASE person."MaritalStatus" WHEN 'M' THEN 'married' WHEN 'S' THEN 'single' END AS marital_status,
    CAST(person."YearlyIncome" AS DECIMAL(18, 4)) AS yearly_income,
    person."EnglishEducation" AS education,
    person."EnglishOccupation" AS occupation,
    CAST(person."TotalChildren" AS BIGINT) AS children_count,
    person."HouseOwnerFlag" = '1' AS is_house_owner,
    CAST(person."NumberCarsOwned" AS BIGINT) AS car_count,
    places.country,
    places.region,
    places.city,
    places.sales_territory,
    person."CommuteDistance" AS commute_distance,
    motives.main_purchase_motive,
    interests.survey_interest,
    NULL AS business_type,
    NULL AS product_line,
    CAST(NULL AS BIGINT) AS employee_count,
    CAST(NULL AS DECIMAL(18, 4)) AS annual_sales,
    CAST(NULL AS DECIMAL(18, 4)) AS annual_revenue,
    CAST(NULL AS BIGINT) AS year_opened
FROM "DimCustomer" AS person
LEFT JOIN places ON places."GeographyKey" = person."GeographyKey"
LEFT JOIN motives ON motives."CustomerKey" = person."CustomerKey"
LEFT JOIN interests ON interests."CustomerKey" = person."CustomerKey"
WHERE person."DateFirstPurchase" < (SELECT local_end FROM night)

UNION ALL

-- The source does not say since when it knows a reseller. Deriving it from the first order would hide, on every
-- earlier night, exactly the resellers that order later, and show those that never do.
SELECT
    'R-' || reseller."ResellerAlternateKey" AS customer_id,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS created_at,
    'reseller' AS customer_kind,
    CAST(NULL AS BIGINT) AS birth_year,
    NULL AS gender,
    NULL AS marital_status,
    CAST(NULL AS DECIMAL(18, 4)) AS yearly_income,
    NULL AS education,
    NULL AS occupation,
    CAST(NULL AS BIGINT) AS children_count,
    CAST(NULL AS BOOLEAN) AS is_house_owner,
    CAST(NULL AS BIGINT) AS car_count,
    places.country,
    places.region,
    places.city,
    places.sales_territory,
    NULL AS commute_distance,
    NULL AS main_purchase_motive,
    NULL AS survey_interest,
    reseller."BusinessType" AS business_type,
    reseller."ProductLine" AS product_line,
    CAST(reseller."NumberEmployees" AS BIGINT) AS employee_count,
    CAST(reseller."AnnualSales" AS DECIMAL(18, 4)) AS annual_sales,
    CAST(reseller."AnnualRevenue" AS DECIMAL(18, 4)) AS annual_revenue,
    CAST(reseller."YearOpened" AS BIGINT) AS year_opened
FROM "DimReseller" AS reseller
LEFT JOIN places ON places."GeographyKey" = reseller."GeographyKey"
