"""LoadLeveler: `# @ keyword = value`."""
