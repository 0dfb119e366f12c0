"""Who was in which segment on a day, as known then or later."""
