"""What an analyst calls: anyone's rollouts measured and compared, a study as data frames."""
