"""Read models of the pipeline for pages, facts and the API. The number of statements never depends on the rows."""

from core.domains.crm.queries.attention import (
    LikelyDeal,
    StuckDeal,
    StuckList,
    overdue_close,
    quiet,
    stuck,
    top_to_close,
    zero_value,
)
from core.domains.crm.queries.deals import (
    SORTS,
    AccountInfo,
    DealDetail,
    DealList,
    DealPage,
    DealRow,
    HistoryItem,
    deal_detail,
    deals_page,
)
from core.domains.crm.queries.filters import ONLY, DealFilter
from core.domains.crm.queries.forecast import Forecast, ForecastMonth, StageWeight, forecast
from core.domains.crm.queries.pipeline import (
    Activity,
    Conversion,
    OwnerInfo,
    StageAges,
    StageInfo,
    StageTotal,
    Totals,
    ageing,
    bucket_names,
    owners,
    pipeline_by_stage,
    pipeline_version,
    stage_conversion,
    stage_pace,
    stages,
    totals,
    usual_cycle_days,
    weights,
)

__all__ = [
    "ONLY", "SORTS", "AccountInfo", "Activity", "Conversion", "DealDetail", "DealFilter", "DealList", "DealPage", "DealRow",
    "Forecast", "ForecastMonth", "HistoryItem", "LikelyDeal", "OwnerInfo", "StageAges", "StageInfo", "StageTotal",
    "StageWeight", "StuckDeal", "StuckList", "Totals", "ageing", "bucket_names", "deal_detail", "deals_page", "forecast",
    "overdue_close", "owners", "pipeline_by_stage", "pipeline_version", "quiet", "stage_conversion", "stage_pace", "stages",
    "stuck", "top_to_close", "totals", "usual_cycle_days", "weights", "zero_value",
]  # fmt: skip
