"""What is paid at a clinic's desk, and the tills that it goes into."""
