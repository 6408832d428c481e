"""The table of offers: incidents that a tool has announced, each once."""

from datetime import datetime

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel


class Offer(SQLModel, table=True):
    """An incident for which whoever is on call was offered the glass to break; by itself it gives nothing."""

    __tablename__ = "offers"
    id: str = Field(primary_key=True)  # what the button carries
    incident: str = Field(unique=True)
    title: str = Field(sa_column=Column(Text, nullable=False))
    entitlement: str = ""  # what the tool thinks is needed
    link: str = Field(default="", sa_column=Column(Text, nullable=False))
    at: datetime = Field(index=True)
    told_at: datetime | None = None  # whoever is on call
