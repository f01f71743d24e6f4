"""Operations, the channel that they speak through, and what they know of the agent."""
