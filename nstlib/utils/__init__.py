"""What style transfer needs and any imaging library has: pictures and files in and out, checks, memory, tiles."""
