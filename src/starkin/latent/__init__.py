"""What is read off latents."""
