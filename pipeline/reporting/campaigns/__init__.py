"""What is known of campaigns: plans, and results as a night stored them."""

from pipeline.reporting.campaigns.reports import CampaignReport, campaign_report, campaign_reports

__all__ = ["CampaignReport", "campaign_report", "campaign_reports"]
