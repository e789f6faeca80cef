"""Layer 3: compares sets; one public function a file."""
