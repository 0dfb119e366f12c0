"""What others read: a publication folder behind one pointer, and the database target."""
