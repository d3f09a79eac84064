"""The tables of Pawl's own database, as the newest version has them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, LargeBinary, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Base of the tables."""


class Delivery(Base):
    """A webhook that was received, by GitHub's own id, which a redelivery shares."""

    __tablename__ = "deliveries"
    guid: Mapped[str] = mapped_column(String(64), primary_key=True)
    event: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(64), default="")
    repository: Mapped[str] = mapped_column(String(200), default="", index=True)
    received_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class Pressed(Base):
    """A button that was pressed and has no answer yet."""

    __tablename__ = "presses"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    repository: Mapped[str] = mapped_column(String(200), index=True)
    by: Mapped[str] = mapped_column(String(200))
    verb: Mapped[str] = mapped_column(String(20))
    check_run: Mapped[str] = mapped_column(String(200))
    external_id: Mapped[str] = mapped_column(String(200))
    head: Mapped[str] = mapped_column(String(200))


class Blob(Base):
    """A git object of some repository, which never changes under its name."""

    __tablename__ = "blobs"
    repository: Mapped[str] = mapped_column(String(200), primary_key=True)
    sha: Mapped[str] = mapped_column(String(64), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
