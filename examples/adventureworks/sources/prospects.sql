-- Keyed by row: `ProspectAlternateKey` gives one key to people with different names, such as Chris, Christina and Christine.
WITH regions AS (
    SELECT DISTINCT
        geography."StateProvinceCode",
        geography."StateProvinceName" AS region,
        territory."SalesTerritoryRegion" AS sales_territory
    FROM "DimGeography" AS geography
    LEFT JOIN "DimSalesTerritory" AS territory ON territory."SalesTerritoryKey" = geography."SalesTerritoryKey"
    WHERE geography."CountryRegionCode" = 'US'
)

SELECT
    'B-' || CAST(buyer."ProspectiveBuyerKey" AS VARCHAR) AS customer_id,
    'person' AS customer_kind,
    CAST(EXTRACT(YEAR FROM buyer."BirthDate") AS BIGINT) AS birth_year,
    CASE buyer."Gender" WHEN 'F' THEN 'female' WHEN 'M' THEN 'male' END AS gender,
    CASE buyer."MaritalStatus" WHEN 'M' THEN 'married' WHEN 'S' THEN 'single' END AS marital_status,
    CAST(buyer."YearlyIncome" AS DECIMAL(18, 4)) AS yearly_income,
    -- This table cuts words off after ten letters; customers and prospects must share their values.
    CASE buyer."Education"
        WHEN 'Graduate D' THEN 'Graduate Degree'
        WHEN 'High Schoo' THEN 'High School'
        WHEN 'Partial Co' THEN 'Partial College'
        WHEN 'Partial Hi' THEN 'Partial High School'
        ELSE buyer."Education"
    END AS education,
    buyer."Occupation" AS occupation,
    CAST(buyer."TotalChildren" AS BIGINT) AS children_count,
    buyer."HouseOwnerFlag" = '1' AS is_house_owner,
    CAST(buyer."NumberCarsOwned" AS BIGINT) AS car_count,
    -- The table has no country; each of its state codes is one of the United States.
    'United States' AS country,
    regions.region,
    buyer."City" AS city,
    regions.sales_territory
FROM "ProspectiveBuyer" AS buyer
LEFT JOIN regions ON regions."StateProvinceCode" = buyer."StateProvinceCode"
