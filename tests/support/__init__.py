"""What tests share: small companies and lakes, nights, kills, real services."""
