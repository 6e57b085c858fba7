"""What minillm reaches on real data, beside simple methods: each figure of the README by a command."""
